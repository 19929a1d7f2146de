//! References of images, bent by chance.

use onggi_model::ImageRef;
use onggi_testkit::Fuzz;

#[test]
fn fuzz_references() {
    let fuzz = Fuzz {
        seeds: &[
            b"busybox",
            b"library/busybox:1.36",
            b"reg.example:5000/a/b_c/d--e.f:v1.2-rc",
            b"[::1]:5000/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            b"localhost/a:tag@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            b"index.docker.io/library/debian",
        ],
        words: &["/", ":", "@sha256:", "__", "..", "docker.io/", "localhost", ":latest", "A", "[::1]"],
    };
    fuzz.run(|input| {
        let text = String::from_utf8_lossy(input);
        let Ok(reference) = ImageRef::parse(&text) else {
            return;
        };
        // What it is called is the same image, in the long form and in the one for people.
        for name in [reference.to_string(), reference.familiar()] {
            assert_eq!(ImageRef::parse(&name).as_ref(), Ok(&reference), "{name}");
        }
    });
}
