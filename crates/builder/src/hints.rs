//! What to do about what cannot be built: BuildKit's words say what is wrong, these say the way out.

/// Words of an error, and the way out. The first that fits holds.
const HINTS: &[(&str, &str)] = &[
    ("file with no instructions", "begin with FROM"),
    (
        "no build stage",
        "begin with FROM; only ARG may stand above it",
    ),
    ("no stages to build", "begin with FROM"),
    (
        "either one or three arguments",
        "write FROM IMAGE or FROM IMAGE AS NAME",
    ),
    ("name can't start with a number", "choose a name like build"),
    ("must be lowercase", "write it in lower case"),
    (
        "unknown flag",
        "leave it away: this instruction has no such flag",
    ),
    ("duplicate flag", "give it once"),
    ("missing a value on flag", "write --FLAG=VALUE"),
    ("expecting boolean value", "write true or false"),
    (
        "base name (",
        "give the argument a value above FROM, or by --build-arg",
    ),
    (
        "unknown instruction",
        "begin with an instruction like RUN, or end the line above with \\",
    ),
    (
        "Must be of the form: name=value",
        "put quotes around a value with blanks",
    ),
    ("looking for matching", "close the quotes"),
    ("missing '}'", "close the brace"),
    ("unsupported modifier", "use :- or :+ or :? or one of # % /"),
    ("ENV ", "write ENV NAME=VALUE"),
    ("LABEL ", "write LABEL NAME=VALUE"),
    ("ARG ", "write ARG NAME or ARG NAME=VALUE"),
    ("at least two arguments", "write SOURCE... DESTINATION"),
    ("source can't be a URL", "use ADD"),
    ("source can't be a git", "use ADD"),
    (
        "checksum of context",
        "paths begin at the context; .dockerignore may leave them out",
    ),
    ("checksum of stage", "let a step of that stage make it"),
    ("checksum of image", "look into that image for where it is"),
    (
        "cannot copy to non-directory",
        "let the destination end with a slash",
    ),
    (
        "the destination must be a directory",
        "let the destination end with a slash",
    ),
    (
        "syntax error in pattern",
        "write \\[ for a bracket that is meant",
    ),
    (
        "invalid stage index",
        "count stages from 0, or name them with AS",
    ),
    (
        "circular dependency",
        "take only from stages that do not need this one",
    ),
    (
        "chown string",
        "name a number, or make the user in a RUN above",
    ),
    (
        "unable to find user",
        "name a number, or make the user in a RUN above",
    ),
    (
        "unable to find group",
        "name a number, or make the group in a RUN above",
    ),
    ("invalid chmod parameter", "write it as 644 or as u=rw,go=r"),
    ("checksum requires", "leave --checksum away"),
    (
        "digest mismatch",
        "check who changed it, then write the digest it has",
    ),
    ("VOLUME ", "write VOLUME DIRECTORY"),
    ("SHELL ", "write SHELL [\"/bin/sh\", \"-c\"]"),
    ("ONBUILD requires", "write ONBUILD INSTRUCTION"),
    (
        "ONBUILD",
        "leave it to the Dockerfile that builds upon this image",
    ),
    ("missing command after", "write HEALTHCHECK CMD COMMAND"),
    (
        "HEALTHCHECK",
        "write HEALTHCHECK CMD COMMAND or HEALTHCHECK NONE",
    ),
    ("invalid duration", "write it as 30s or 1m30s"),
    ("cannot be less than", "write 0 for what is usual"),
    ("cannot be negative", "write 0 for what is usual"),
    (
        "exactly one argument",
        "write one; quotes keep blanks together",
    ),
    (
        "invalid containerPort",
        "write it as 80, 53/udp or 8000-8010",
    ),
    ("invalid proto", "write tcp, udp or sctp"),
    ("invalid signal", "write a name like SIGTERM, or its number"),
    ("code: 126", "126 is for a program that cannot be executed"),
    (
        "code: 127",
        "127 is for a command that the image does not have",
    ),
    ("non-zero code", "its output says why"),
    ("exit code", "its output says why"),
    (
        "unable to start container process",
        "the image does not have this program, or not what it needs",
    ),
    (
        "unsupported mount type",
        "write bind, cache, tmpfs, secret or ssh",
    ),
    ("unsupported network mode", "write default, none or host"),
    ("secret ", "give it by --secret id=ID,src=FILE"),
    (
        "unterminated heredoc",
        "end it with a line of its name alone",
    ),
    ("invalid escape token", "write one of the two"),
    ("parser directive can be used", "leave all but one away"),
    (
        "no such host",
        "check its name; an image that is here is not asked for",
    ),
    (
        "connection refused",
        "check its name; an image that is here is not asked for",
    ),
];

/// What to do about an error that says this.
pub(crate) fn hint(message: &str) -> Option<&'static str> {
    // What is shown already needs no other way.
    let shows = ["did you mean", "say by ", "; use ", "; leave "];
    if shows.iter().any(|words| message.contains(words)) {
        return None;
    }
    let found = HINTS.iter().find(|(words, _)| message.contains(words));
    found.map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_is_shown_once() {
        for (message, expected) in [
            ("ENV must have two arguments", Some("write ENV NAME=VALUE")),
            ("unknown instruction: RUNN (did you mean RUN?)", None),
            ("something else", None),
        ] {
            assert_eq!(hint(message), expected, "{message}");
        }
        for (number, (words, _)) in HINTS.iter().enumerate() {
            let first = HINTS.iter().position(|(other, _)| words.contains(other));
            assert_eq!(first, Some(number), "{words} is never found");
        }
    }
}
