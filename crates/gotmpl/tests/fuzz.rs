//! Templates, bent by chance.

use onggi_gotmpl::{Data, Functions, Template};
use onggi_testkit::Fuzz;
use serde_json::json;

#[test]
fn fuzz_templates() {
    let data = Data::plain(&json!({
        "Name": "/web", "Count": 3, "Size": -1.5, "Up": true, "Nothing": null, "Text": "a<b>\"c\" é한",
        "List": ["x", "y", ["z"]], "Map": {"a": 1, "b.c": {"d": [1, 2, 3]}}, "Labels": {}
    }));
    let fuzz = Fuzz {
        seeds: &[
            b"{{.Name}}",
            b"table {{.Name}}\t{{.Count}}",
            b"{{json .}} {{json .Map}}",
            b"{{range $i, $e := .List}}{{if $i}}, {{end}}{{$e}}{{else}}none{{end}}",
            b"{{with .Map}}{{index . \"a\"}}{{end}}{{len .List}}",
            b"{{printf \"%-10s|%5.2f|%q|%v|%T|%x\" .Name .Size .Text .Map .List .Count}}",
            b"{{define \"t\"}}<{{.}}>{{end}}{{template \"t\" .Name}}",
            b"{{if and .Up (not .Nothing) (gt .Count 2) (eq .Name \"/web\" \"x\")}}y{{else if .Up}}n{{end}}",
            b"{{- .Name | upper | lower | title | println -}}",
            b"{{join .List \",\"}}{{split .Name \"/\"}}{{truncate .Text 3}}{{pad .Name 1 2}}",
            b"{{slice .Text 1 3}}{{slice .List 1}}{{html .Text}}{{js .Text}}{{urlquery .Text}}",
            b"{{break}}{{continue}}{{/* a comment */}}{{`raw`}}{{'c'}}{{0x1F}}{{1e3}}{{nil}}",
        ],
        words: &[
            "{{", "}}", ".", "$", "|", "(", ")", "range ", "end", "else ", "index ", "slice ", "printf ",
            "\"%", "%*d", "%[1]v", "%#v", "json ", "template ", "define ", "block ", ":=", ",", "len ",
            "with ", "call ", "truncate ", "pad ", "break", "continue", "-}}", "{{- ", "eq ", "lt ",
        ],
    };
    fuzz.run(|input| {
        let text = String::from_utf8_lossy(input);
        if let Ok(template) = Template::parse(&text) {
            // It may say that it does not fit; it may neither panic nor fill the memory.
            for functions in [Functions::Basic] {
                if let Ok(said) = template.render_with(&data, functions) {
                    assert!(said.len() <= 64 << 20, "{} bytes", said.len());
                }
            }
        }
    });
}
