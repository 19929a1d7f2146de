//! Templates over documents and rows, compared with what Go's own engine printed for the same.

use std::sync::Arc;

use serde_json::json;

use crate::{Data, Field, Functions, Kinds, Template};

struct Inspect;

impl Kinds for Inspect {
    fn is_map(&self, _: &str, name: &str) -> bool {
        ["Labels", "Ports"].contains(&name)
    }
    fn is_pointer(&self, _: &str, name: &str) -> bool {
        ["Health"].contains(&name)
    }
    fn optional(&self, name: &str) -> &'static [&'static str] {
        if name == "State" { &["Health"] } else { &[] }
    }
    fn alias(&self, key: &str) -> Option<&'static str> {
        (key == "Id").then_some("ID")
    }
}

fn document() -> Data {
    Data::document(
        &json!({
            "Id": "c6f7", "Name": "/web", "Big": 18446744073709551615_u64,
            "State": {"Status": "running", "Running": true, "Pid": 18519, "Error": ""},
            "Config": {"Cmd": ["sleep", "1000"], "Env": null, "Labels": {"c.d-e": "f", "a": "<b>"}},
            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": null},
        }),
        &Inspect,
    )
}

fn render(source: &str) -> String {
    match Template::parse(source).and_then(|template| template.render(&document())) {
        Ok(text) => text,
        Err(error) => error.to_string(),
    }
}

#[test]
fn documents_print_as_in_go() {
    for (source, expected) in [
        (
            "{{.Id}} {{.State.Pid}} {{.Big}}",
            "c6f7 18519 18446744073709551615",
        ),
        ("{{.State}}", "{running true 18519  <nil>}"),
        (
            "{{.Config.Cmd}} {{.Config.Env}} {{.Config.Labels}}",
            "[sleep 1000] [] map[a:<b> c.d-e:f]",
        ),
        ("{{.Ports}}", "map[80/tcp:[{0.0.0.0 8080}] 81/tcp:[]]"),
        (
            "{{json .Ports}}",
            r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}],"81/tcp":null}"#,
        ),
        ("{{json .Config.Labels}}", r#"{"c.d-e":"f","a":"<b>"}"#),
        (
            "{{json .Config.Env}} {{json .State}}",
            r#"null {"Status":"running","Running":true,"Pid":18519,"Error":""}"#,
        ),
        (r#"{{(index (index .Ports "80/tcp") 0).HostPort}}"#, "8080"),
        (r#"{{index .Config.Labels "a"}}"#, "<b>"),
        (r#"{{index .Config.Labels "none"}}"#, ""),
        (
            "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}",
            "a=<b> c.d-e=f ",
        ),
        ("{{range .Config.Cmd}}[{{.}}]{{end}}", "[sleep][1000]"),
        (
            "{{range $p, $conf := .Ports}}{{$p}}->{{range $conf}}{{.HostPort}}{{end}};{{end}}",
            "80/tcp->8080;81/tcp->;",
        ),
        ("{{if .State.Health}}x{{else}}y{{end}}", "y"),
        ("{{with .State}}{{.Status | upper}}{{end}}", "RUNNING"),
        (
            r#"{{printf "%q" .Name}} {{len .Name}} {{println .Name}}"#,
            "\"/web\" 4 /web\n",
        ),
        (
            r#"{{join .Config.Cmd "+"}} {{split .Name "/"}} {{title "ab cd"}}"#,
            "sleep+1000 [ web] Ab Cd",
        ),
        (
            r#"{{pad "x" 2 1}}|{{truncate "hello" 3}}|{{lower "ABC"}}"#,
            "  x |hel|abc",
        ),
        (
            r#"{{$x := .State.Status}}{{$x}}{{if eq .State.Status "running"}}!{{end}}"#,
            "running!",
        ),
        (r#"{{.State.Status | printf "%s-%s" "a"}}"#, "a-running"),
        (
            "{{define \"t\"}}<{{.Status}}>{{end}}{{template \"t\" .State}}",
            "<running>",
        ),
    ] {
        assert_eq!(render(source), expected, "{source}");
    }
}

#[test]
fn errors_have_gos_texts_and_places() {
    for (source, expected) in [
        (
            "{{.Foo}}",
            r#"template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo""#,
        ),
        (
            "{{.State.Foo}}",
            r#"template: :1:8: executing "" at <.State.Foo>: map has no entry for key "Foo""#,
        ),
        (
            "{{.State.Health.Status}}",
            r#"template: :1:8: executing "" at <.State.Health.Status>: map has no entry for key "Health""#,
        ),
        (
            "{{index .Config.Cmd 7}}",
            r#"template: :1:2: executing "" at <index .Config.Cmd 7>: error calling index: index out of range: 7"#,
        ),
        (
            r#"{{pad "x" 9223372036854775807 1}}"#,
            r#"template: :1:2: executing "" at <pad "x" 9223372036854775807 1>: error calling pad: pad: more than 4096 spaces"#,
        ),
        (
            "{{.Config.Cmd.Foo}}",
            r#"template: :1:9: executing "" at <.Config.Cmd.Foo>: can't evaluate field Foo in type interface {}"#,
        ),
        (
            "a\n{{.Foo}}",
            r#"template: :2:2: executing "" at <.Foo>: map has no entry for key "Foo""#,
        ),
        (
            "{{.n..한.t\"\"}}",
            r#"template: :1:6: executing "" at <.한.t>: map has no entry for key "한""#,
        ),
        (
            "{{range 9000000}}01234567{{end}}",
            "template: : the output is longer than 64 MiB",
        ),
        ("{{", "template: :1: unclosed action"),
        ("{{.ID", "template: :1: unclosed action"),
        ("{{foo .ID}}", r#"template: :1: function "foo" not defined"#),
    ] {
        assert_eq!(render(source), expected, "{source}");
    }
}

#[test]
fn rows_have_methods_and_type_names() {
    let row = Data::row(
        "*formatter.ContainerContext",
        [
            ("ID", Field::Json(json!("c6f7"))),
            (
                "Label",
                Field::Method(Arc::new(|key: &str| format!("<{key}>"))),
            ),
        ],
        r#"{"ID":"c6f7"}"#.to_owned(),
    );
    let render = |source: &str| match Template::parse(source).and_then(|t| t.render(&row)) {
        Ok(text) => text,
        Err(error) => error.to_string(),
    };
    assert_eq!(
        render(r#"{{.ID}} {{.Label "a"}} {{json .}} {{json .ID}}"#),
        "c6f7 <a> {\"ID\":\"c6f7\"} \"c6f7\""
    );
    assert_eq!(
        render("{{.Foo}}"),
        "template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext"
    );
    assert_eq!(
        render("{{.Label}}"),
        "template: :1:2: executing \"\" at <.Label>: wrong number of args for Label: want 1 got 0"
    );
    let template = Template::parse("{{.ID | upper}}\t{{pad .ID 1 2}}").unwrap();
    assert!(template.uses("ID") && !template.uses("Size"));
    assert!(Template::parse("{{json .}}").unwrap().uses("Size"));
    assert_eq!(
        template.render_with(&row, Functions::Header).unwrap(),
        "c6f7\tc6f7"
    );
}
