//! Dockerfiles bent by chance: whatever is written, nothing panics, and what was read can be shown.

use onggi_dockerfile::expand::Lexer;
use onggi_dockerfile::ignore::Ignore;
use onggi_dockerfile::{Dockerfile, Instruction, Stages};
use onggi_testkit::Fuzz;

const FILES: &[&[u8]] = &[
    b"# syntax=docker/dockerfile:1\n# escape=`\nARG V=1\nFROM --platform=$BUILDPLATFORM a:${V:-2} AS build\n",
    b"FROM a\nRUN --mount=type=cache,target=/c,\"id=a,b\" x \\\n# c\n\n && y\nCMD [\"a\", \"b\"]\n",
    b"FROM a\nCOPY --from=b <<-A 3<<'B' \"c d\" /e/\n\t1\n\tA\n2\nB\nENV a=\"b c\" d=e\\ f\nENV g h\n",
    b"FROM a\nHEALTHCHECK --interval=1m --retries=3 CMD curl x\nONBUILD ADD . /\nSHELL [\"sh\"]\nEXPOSE 80/tcp\n",
];

const WORDS: &[&[u8]] = &[
    b"${a:-${b:+\"c d\"}}e'f'\\g$1${h#*/}${i%%.*}${j//k*/l}",
    b"$a ${b?c} \"d${e-f}\" `g",
];

const RULES: &[&[u8]] = &[
    b"*.log\n!a/**/b?[c-e]\\*\n# f\n/g/../h\n",
    b"**/node_modules\n**a\n",
];

#[test]
fn fuzz_dockerfiles() {
    Fuzz {
        seeds: FILES,
        words: &[
            "\n", "\\\n", "<<A", "A\n", "RUN ", "ONBUILD ", "--", "=", "\"", "#", "[", "é",
        ],
    }
    .run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let Ok(file) = Dockerfile::parse(&text) else {
            return;
        };
        assert_eq!(file.expressions().lines().count(), file.statements.len());
        for statement in &file.statements {
            if let Err(error) = Instruction::parse(statement) {
                assert!(error.excerpt("Dockerfile", &text).contains(">>>"));
            }
        }
        drop(Stages::parse(&file));
    });
}

#[test]
fn fuzz_words() {
    Fuzz {
        seeds: WORDS,
        words: &[
            "${", "}", "$", "\\", "'", "\"", "/", "#", "%", "*", ":-", "é",
        ],
    }
    .run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let values = |name: &str| name.len().is_multiple_of(2).then(|| "v/ a.l".to_owned());
        drop(Lexer::default().expand(&text, &values));
        drop(Lexer::default().words(&text, &values));
    });
}

#[test]
fn fuzz_ignore_files() {
    Fuzz {
        seeds: RULES,
        words: &[
            "**", "*", "/", "!", "[", "]", "^", "-", "\\", "\n", "..", "é",
        ],
    }
    .run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(ignore) = Ignore::parse(&text) {
            for path in ["a", "a/b/bxc*", "h", "x/node_modules/y"] {
                assert!(ignore.ignores(path) || !ignore.ignores_all_below(path));
            }
        }
    });
}
