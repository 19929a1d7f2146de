//! Who may do what: passwords, tokens, rules.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Namespace, OnggiRegistry, Request, Response};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;

use crate::{Answers, MANIFEST, expect, location, manifest, refused, sha256};

/// `user:password` in base64, by hand: the kit has no need of more.
fn basic(user: &str, password: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{user}:{password}");
    let mut out = String::from("Basic ");
    for chunk in text.as_bytes().chunks(3) {
        let mut word = [0; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from(word[0]) << 16 | u32::from(word[1]) << 8 | u32::from(word[2]);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() {
                letter as char
            } else {
                '='
            });
        }
    }
    out
}

/// A line for the file of users, made as people make it.
fn line(user: &str, password: &str) -> Result<String> {
    let program = onggi_testkit::Binaries::built("onggi-registry")?;
    let mut child = std::process::Command::new(program)
        .args(["htpasswd", user])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    writeln!(child.stdin.take().context("stdin")?, "{password}")?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success());
    Ok(String::from_utf8(output.stdout)?)
}

/// A file with the users `root`, `a` and `b`; the password is the name twice.
fn users() -> Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    for user in ["root", "a", "b"] {
        file.write_all(line(user, &format!("{user}{user}"))?.as_bytes())?;
    }
    file.flush()?;
    Ok(file)
}

fn rules() -> Value {
    json!([
        {"repository": "*", "users": ["root"], "actions": ["read", "write", "delete"]},
        {"repository": "team/*", "users": ["a"], "actions": ["read", "write"]},
        {"repository": "team/app", "users": ["b"], "actions": ["read"]},
    ])
}

/// A registry, as somebody.
struct As<'a>(&'a OnggiRegistry<'a>, Option<String>);

impl Answers for As<'_> {
    fn ask(&self, mut request: Request<'_>) -> Result<Response> {
        request
            .headers
            .extend(self.1.clone().map(|value| ("Authorization", value)));
        self.0.send(&request)
    }
}

#[test]
fn passwords_and_rules() -> Result<()> {
    let namespace = Namespace::new()?;
    let users = users()?;
    let keys = json!({"auth": {"htpasswd": users.path(), "access": rules()}});
    let registry = OnggiRegistry::start(&namespace, 5000, &keys)?;
    let user = |name: &str| As(&registry, Some(basic(name, &format!("{name}{name}"))));
    let nobody = registry.get("/v2/")?;
    refused(&nobody, 401, "UNAUTHORIZED")?;
    ensure!(
        nobody
            .header("www-authenticate")
            .is_some_and(|v| v.starts_with("Basic realm="))
    );
    for bad in [
        "Basic",
        "Basic !",
        "Basic YQ==",
        "Bearer x",
        "Digest x",
        &basic("a", "wrong"),
        &basic("c", "cc"),
        &basic("", ""),
    ] {
        refused(
            &As(&registry, Some(bad.to_owned())).get("/v2/")?,
            401,
            "UNAUTHORIZED",
        )
        .with_context(|| bad.to_owned())?;
    }
    expect(&user("a").get("/v2/")?, 200)?;
    user("a").image("team/app", "v1", &[b"team's"])?;
    user("root").image("other", "v1", &[b"root's"])?;
    // Read.
    for (name, repository, status) in [
        ("a", "team/app", 200),
        ("b", "team/app", 200),
        ("root", "team/app", 200),
        ("b", "team/other", 403),
        ("a", "other", 403),
        ("a", "none", 403),
    ] {
        let answer = user(name).get(&format!("/v2/{repository}/manifests/v1"))?;
        expect(&answer, status).with_context(|| format!("{name} {repository}"))?;
    }
    // Write and delete.
    refused(
        &user("b").post("/v2/team/app/blobs/uploads/")?,
        403,
        "DENIED",
    )?;
    refused(
        &user("a").delete("/v2/team/app/manifests/v1")?,
        403,
        "DENIED",
    )?;
    refused(
        &As(&registry, None).get("/v2/team/app/manifests/v1")?,
        401,
        "UNAUTHORIZED",
    )?;
    // A mount from where one may not read is an upload.
    let secret = sha256(b"root's");
    let answer = user("a").post(&format!(
        "/v2/team/app/blobs/uploads/?mount={secret}&from=other"
    ))?;
    expect(&answer, 202)?;
    // An upload belongs to its repository.
    let path = location(&answer)?.replace("team/app", "team/other");
    refused(&user("a").get(&path)?, 404, "BLOB_UPLOAD_UNKNOWN")?;
    // The catalogue shows what one may read.
    ensure!(user("b").get("/v2/_catalog")?.json()?["repositories"] == json!(["team/app"]));
    ensure!(
        user("root").get("/v2/_catalog")?.json()?["repositories"] == json!(["other", "team/app"])
    );
    expect(&user("root").delete("/v2/team/app/manifests/v1")?, 202)?;
    // Passwords are nowhere.
    let log = registry.log() + &std::fs::read_to_string(registry.path("access.log"))?;
    ensure!(
        !log.contains("rootroot") && !log.contains("Basic") && log.contains("\"user\":\"root\""),
        "{log}"
    );
    Ok(())
}

#[test]
fn wrong_passwords_slow_down_their_sender_alone() -> Result<()> {
    let namespace = Namespace::new()?;
    let users = users()?;
    let registry = OnggiRegistry::start(
        &namespace,
        5000,
        &json!({"auth": {"htpasswd": users.path()}}),
    )?;
    let wrong = As(&registry, Some(basic("a", "wrong")));
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(wrong.get("/v2/")?.status);
    }
    ensure!(
        statuses[..5] == [401; 5] && statuses.contains(&429),
        "{statuses:?}"
    );
    expect(&As(&registry, Some(basic("b", "bb"))).get("/v2/")?, 200)
}

fn token(registry: &dyn Answers, query: &str) -> Result<String> {
    let answer = registry.get(&format!("/token?service=onggi-registry{query}"))?;
    expect(&answer, 200)?;
    let token = answer.json()?["token"].take();
    Ok(format!("Bearer {}", token.as_str().context("no token")?))
}

#[test]
fn tokens_of_our_own() -> Result<()> {
    let namespace = Namespace::new()?;
    let users = users()?;
    let keys = json!({"auth": {"htpasswd": users.path(), "access": rules(), "token": {}, "anonymous": true}});
    let mut registry = OnggiRegistry::start(&namespace, 5000, &keys)?;
    let challenge = registry.get("/v2/")?;
    expect(&challenge, 401)?;
    let value = challenge
        .header("www-authenticate")
        .context("no challenge")?;
    ensure!(
        value == "Bearer realm=\"http://test/token\",service=\"onggi-registry\"",
        "{value}"
    );
    let denied = registry.post("/v2/team/app/blobs/uploads/")?;
    let value = denied
        .header("www-authenticate")
        .context("no challenge")?
        .to_owned();
    ensure!(
        value.ends_with("scope=\"repository:team/app:pull,push\""),
        "{value}"
    );
    let a = As(&registry, Some(basic("a", "aa")));
    refused(
        &As(&registry, Some(basic("a", "wrong"))).get("/token")?,
        401,
        "UNAUTHORIZED",
    )?;
    let pushing = token(
        &a,
        "&scope=repository:team/app:pull,push,delete&scope=repository:other:push",
    )?;
    let a_token = As(&registry, Some(pushing.clone()));
    expect(&a_token.get("/v2/")?, 200)?;
    a_token.image("team/app", "v1", &[b"x"])?;
    // Not asked for, and asked for but not granted.
    for path in ["/v2/team/other/blobs/uploads/", "/v2/other/blobs/uploads/"] {
        refused(&a_token.post(path)?, 401, "UNAUTHORIZED")?;
    }
    refused(
        &a_token.delete("/v2/team/app/manifests/v1")?,
        401,
        "UNAUTHORIZED",
    )?;
    // dockerd makes "denied" of this.
    let denied = a_token.post("/v2/other/blobs/uploads/")?;
    let value = denied.header("www-authenticate").context("no challenge")?;
    ensure!(value.ends_with("error=\"insufficient_scope\""), "{value}");
    // In OAuth's form.
    let form = "grant_type=password&username=a&password=aa&service=onggi-registry&client_id=t&scope=repository:team/app:pull";
    let answer = registry
        .ask(Request::new("POST", "/token").body("application/x-www-form-urlencoded", form))?;
    expect(&answer, 200)?;
    ensure!(answer.json()?["expires_in"] == 300);
    let refresh = form.replace("grant_type=password", "grant_type=refresh_token");
    expect(
        &registry.ask(
            Request::new("POST", "/token").body("application/x-www-form-urlencoded", refresh),
        )?,
        400,
    )?;
    // Nobody in particular reads, and does no more.
    let reading = As(
        &registry,
        Some(token(&registry, "&scope=repository:team/app:pull,push")?),
    );
    expect(&reading.get("/v2/team/app/manifests/v1")?, 200)?;
    refused(
        &reading.post("/v2/team/app/blobs/uploads/")?,
        401,
        "UNAUTHORIZED",
    )?;
    expect(&registry.get("/v2/team/app/manifests/v1")?, 200)?;
    // Another service's, a changed one, a cut one.
    expect(&a.get("/token?service=other")?, 400)?;
    for bad in [
        format!("{pushing}x"),
        pushing[..pushing.len() - 10].to_owned(),
        pushing.replace('.', ""),
    ] {
        refused(&As(&registry, Some(bad)).get("/v2/")?, 401, "UNAUTHORIZED")?;
    }
    // Good after a restart.
    ensure!(registry.stop()? == 0);
    registry.run()?;
    expect(
        &As(&registry, Some(pushing)).get("/v2/team/app/manifests/v1")?,
        200,
    )
}

#[test]
fn tokens_of_another_issuer() -> Result<()> {
    let namespace = Namespace::new()?;
    let users = users()?;
    let keys = json!({"auth": {"htpasswd": users.path(), "token": {"issuer": "there", "service": "here"}}});
    let issuer = OnggiRegistry::start(&namespace, 5000, &keys)?;
    let key = issuer.path("public.pem");
    if !crate::installed("openssl") {
        return Ok(());
    }
    let private = issuer.path("data/token.key");
    let text = |path: &std::path::Path| path.display().to_string();
    crate::done(
        &namespace,
        "openssl",
        &[
            "pkey",
            "-inform",
            "DER",
            "-in",
            &text(&private),
            "-pubout",
            "-out",
            &text(&key),
        ],
    )?;
    let realm = "http://127.0.0.1:5000/token";
    let keys = json!({"auth": {"token": {"issuer": "there", "service": "here", "realm": realm, "keys": [key]}}});
    let registry = OnggiRegistry::start(&namespace, 5001, &keys)?;
    let challenge = registry.get("/v2/")?;
    ensure!(
        challenge
            .header("www-authenticate")
            .is_some_and(|v| v.starts_with(&format!("Bearer realm=\"{realm}\",service=\"here\"")))
    );
    expect(&registry.get("/token")?, 404)?;
    let root = As(&issuer, Some(basic("root", "rootroot")));
    let answer = root.get("/token?service=here&scope=repository:a:pull,push")?;
    expect(&answer, 200)?;
    let bearer = format!(
        "Bearer {}",
        answer.json()?["token"].as_str().context("token")?
    );
    let pusher = As(&registry, Some(bearer));
    pusher.image("a", "v1", &[])?;
    refused(&pusher.post("/v2/b/blobs/uploads/")?, 401, "UNAUTHORIZED")?;
    refused(
        &As(&registry, Some(basic("root", "rootroot"))).get("/v2/")?,
        401,
        "UNAUTHORIZED",
    )
}

#[test]
fn deleting_can_be_switched_off() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &json!({"delete": false}))?;
    registry.blob("a", b"{}")?;
    let bytes = manifest(b"{}", &[], json!({}));
    expect(&registry.put("a", "v1", MANIFEST, &bytes)?, 201)?;
    for path in [
        "manifests/v1".to_owned(),
        format!("manifests/{}", sha256(&bytes)),
        format!("blobs/{}", sha256(b"{}")),
    ] {
        refused(
            &registry.delete(&format!("/v2/a/{path}"))?,
            405,
            "UNSUPPORTED",
        )?;
    }
    expect(&registry.get("/v2/a/manifests/v1")?, 200)?;
    let answer = registry.ask(Request::new("PATCH", "/v2/a/manifests/v1"))?;
    expect(&answer, 405)?;
    ensure!(
        answer.header("allow") == Some("GET, HEAD, PUT, DELETE"),
        "{:?}",
        answer.header("allow")
    );
    Ok(())
}
