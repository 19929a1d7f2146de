//! `--log FILE`: one line an error, in the shape containerd and others read back.

use std::io::Write;

use onggi_model::Timestamp;

pub(super) struct Log {
    file: Option<std::fs::File>,
    json: bool,
}

impl Log {
    /// A log that cannot be opened is not a reason to fail: standard error has everything as well.
    pub(super) fn new(path: Option<&str>, format: Option<&str>) -> Self {
        let file = path.filter(|path| !path.is_empty()).and_then(|path| {
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .ok()
        });
        Self {
            file,
            json: format == Some("json"),
        }
    }

    pub(super) fn error(&self, text: &str) {
        let Some(mut file) = self.file.as_ref() else {
            return;
        };
        let time = Timestamp::now().to_string();
        let line = if self.json {
            serde_json::json!({"level": "error", "msg": text, "time": time}).to_string()
        } else {
            format!("time={time:?} level=error msg={text:?}")
        };
        let _ = writeln!(file, "{line}");
    }
}
