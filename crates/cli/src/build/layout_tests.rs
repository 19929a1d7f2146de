use super::*;
use crate::args::{Positionals, parse::parse};
use crate::build::flags::FLAGS;

#[test]
fn flags_say_which_directories() {
    let args = "--cache-from a,b --cache-from type=local,src=/x,tag=t --cache-to TYPE=local,DEST=/y \
                --cache-to type=local,dest= --cache-to type=registry,ref=r,dest=/z";
    let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
    let matches = parse(&[FLAGS], Positionals::Mixed, &args).expect("flags of build");
    let found: Vec<String> = directories(&matches).into_iter().collect();
    assert_eq!(found, ["/x", "/y"]);
}

/// Sends pieces, with their end or without.
fn send(directory: &Path, digest: &str, text: &str, ends: bool) -> std::result::Result<(), String> {
    let (sender, pieces) = mpsc::channel(64);
    for piece in text.as_bytes().chunks(7) {
        let piece = Bytes::copy_from_slice(piece);
        sender.try_send(Some(piece)).expect("room for a piece");
    }
    if ends {
        sender.try_send(None).expect("room for the end");
    }
    drop(sender);
    write(directory, digest, pieces)
}

fn blob(directory: &Path, text: &str) -> Digest {
    let digest = Digest::sha256(Sha256::digest(text).into());
    send(directory, digest.as_str(), text, true).expect("a blob");
    digest
}

fn blobs(directory: &Path) -> usize {
    find(directory).expect("a directory").blobs.len()
}

#[test]
fn blobs_are_there_when_they_are_whole() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("new");
    assert_eq!(find(&path).expect("nothing"), Found::default());
    let digest = Digest::sha256(Sha256::digest("some text").into());
    let refused = send(&path, digest.as_str(), "other text", true).expect_err("another text");
    assert_eq!(refused, format!("{digest} came as something else"));
    let cut = send(&path, digest.as_str(), "some", false).expect_err("cut off");
    assert_eq!(cut, "the daemon is gone");
    for wrong in ["../../x", "sha256:../x", "sha256:"] {
        let refused = send(&path, wrong, "x", true).expect_err("no digest");
        assert_eq!(refused, format!("{wrong} is no digest"));
    }
    let left = fs::read_dir(path.join(BLOBS)).expect("a directory");
    assert_eq!(left.count(), 0);
    blob(&path, "some text");
    let entry = json!({"digest": digest.as_str(), "annotations": {NAME: "t"}}).to_string();
    send(&path, "", &entry, true).expect("an entry");
    let found = find(&path).expect("a cache");
    let Some((file, hash, size)) = found.blobs.first() else {
        panic!("no blob");
    };
    assert!(file.ends_with(format!("{BLOBS}/{}", digest.hex())));
    assert_eq!((Digest::sha256(*hash), *size), (digest, 9));
    assert!(fs::read(path.join("oci-layout")).is_ok_and(|text| text.starts_with(b"{\"image")));
}

#[test]
fn a_cache_takes_the_place_of_the_one_with_its_tag() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path();
    let cache = |tag: &str, layers: &[&str]| {
        let layers = layers
            .iter()
            .map(|text| json!({ "digest": blob(path, text).as_str() }));
        let config = blob(path, &format!("config {tag}"));
        let layers: Vec<Value> = layers.collect();
        let manifest = json!({ "config": { "digest": config.as_str() }, "layers": layers });
        let manifest = blob(path, &manifest.to_string());
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let entry = json!({
            "mediaType": kind, "digest": manifest.as_str(), "annotations": { NAME: tag },
        });
        send(path, "", &entry.to_string(), true).expect("an entry");
    };
    cache("a", &["one", "two"]);
    assert_eq!(blobs(path), 4);
    cache("b", &["two", "three"]);
    assert_eq!(blobs(path), 7);
    // "one" and the old manifest are nobody's; "two" is the other's too.
    cache("a", &["four"]);
    assert_eq!(blobs(path), 7);
    let index: Value =
        serde_json::from_slice(&read(&path.join(INDEX)).expect("index.json")).expect("JSON");
    let manifests = index["manifests"].as_array().expect("manifests");
    let tags: Vec<_> = manifests
        .iter()
        .map(|one| &one["annotations"][NAME])
        .collect();
    assert_eq!(tags, ["b", "a"]);
    let two = Digest::sha256(Sha256::digest("two").into());
    assert!(path.join(BLOBS).join(two.hex()).exists());
}
