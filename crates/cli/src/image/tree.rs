//! `images --tree`: every image with the platforms it is there for.
//!
//! Names above each other, the last one beside the figures; columns that do not fit the terminal are left out.

use std::fmt::Write as _;

use onggi_api::image::{ManifestSummary, Summary};
use onggi_model::units::human_size_with_precision;

use crate::text::short_id;

const WARNING: &str =
    "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.";
/// Between columns.
const GAP: usize = 3;
/// The first column is not made narrower than this.
const NARROW: usize = 12;
/// Columns of the figures: title, width, side.
const FIGURES: [(&str, usize, Align); 4] = [
    ("ID", 12, Align::Left),
    ("DISK USAGE", 10, Align::Right),
    ("CONTENT SIZE", 12, Align::Right),
    ("EXTRA", 5, Align::Left),
];
/// Something is used; on a terminal with room around it.
const IN_USE: &str = "U";

#[derive(Clone, Copy)]
enum Align {
    Left,
    Right,
}

/// How something is drawn on a terminal.
#[derive(Clone, Copy)]
enum Style {
    Plain,
    Faint,
    Title,
    Name,
    Chip,
    Warning,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Style::Plain => "\x1b[39m",
            Style::Faint => "\x1b[39m\x1b[2m",
            Style::Title => "\x1b[39m\x1b[1m",
            Style::Name => "\x1b[34m\x1b[1m",
            Style::Chip => "\x1b[38;5;0m\x1b[48;5;14m",
            Style::Warning => "\x1b[93m",
        }
    }
}

/// The figures of an image or of one of its platforms.
struct Figures {
    id: String,
    disk: i64,
    content: i64,
    used: bool,
}

/// Draws into a text of a certain width.
struct Page {
    /// Columns of the terminal.
    width: usize,
    colour: bool,
    /// The first column.
    names: usize,
    /// How many of [`FIGURES`] fit.
    figures: usize,
    text: String,
}

/// The page for a terminal of this width; for what is none, without colours.
/// `all` shows images without any name, too.
pub(super) fn page(images: &[Summary], all: bool, terminal: Option<usize>) -> String {
    let shown = images.iter().filter(|image| all || !is_dangling(image));
    let mut shown: Vec<&Summary> = shown.collect();
    shown.sort_by_key(|image| std::cmp::Reverse(image.created));
    let width = terminal.filter(|width| *width > 0).unwrap_or(80).max(20);
    let (mut names, mut figures) = (width, 0);
    for (_, column, _) in FIGURES {
        match names.checked_sub(column + GAP) {
            Some(left) if left >= NARROW => names = left,
            _ => break,
        }
        figures += 1;
    }
    let mut page = Page {
        width,
        colour: terminal.is_some(),
        names: names.min(widest(&shown)),
        figures,
        text: String::new(),
    };
    page.heading();
    for image in shown {
        page.image(image);
    }
    page.text
}

fn is_dangling(image: &Summary) -> bool {
    image.repo_tags.is_empty() && image.repo_digests.is_empty()
}

fn widest(images: &[&Summary]) -> usize {
    let names = images.iter().flat_map(|image| &image.repo_tags);
    let platforms = images.iter().flat_map(|image| platforms(image));
    // Docker counts the bytes of the branch, and who compares the two sees no difference.
    let platforms = platforms.map(|one| "└─ ".len() + platform(one).len());
    let names = names.map(String::len).chain(platforms);
    names.max().unwrap_or(0).max("IMAGE".len())
}

/// The manifests that are images.
fn platforms(image: &Summary) -> impl Iterator<Item = &ManifestSummary> {
    let manifests = image.manifests.iter().flatten();
    manifests.filter(|manifest| manifest.kind == "image" && manifest.image_data.is_some())
}

fn platform(manifest: &ManifestSummary) -> String {
    let Some(data) = &manifest.image_data else {
        return String::new();
    };
    let platform = &data.platform;
    let mut text = format!("{}/{}", platform.os, platform.architecture);
    if !platform.variant.is_empty() {
        let _ = write!(text, "/{}", platform.variant);
    }
    text
}

fn is_used(manifest: &ManifestSummary) -> bool {
    let data = manifest.image_data.as_ref();
    data.is_some_and(|data| !data.containers.is_empty())
}

impl Page {
    fn heading(&mut self) {
        let warning = self.styled(Style::Warning, WARNING);
        self.text.push_str(&warning);
        let legend = match self.colour {
            true => "i Info → ".chars().count() + "  U  In Use ".len(),
            false => "Info ->  U In Use ".len(),
        };
        let _ = write!(
            self.text,
            "\n{:width$}",
            "",
            width = self.width.saturating_sub(legend)
        );
        match self.colour {
            true => {
                self.text.push_str(
                    "\x1b[1m\x1b[106m\x1b[30mi\x1b[0m\x1b[0m \x1b[96mInfo → \x1b[0m\x1b[0m ",
                );
                let chip = self.chip();
                self.text.push_str(&chip);
                self.text.push_str(" In Use ");
            }
            false => self.text.push_str("Info ->  U In Use "),
        }
        self.text.push_str("\n\n");
        self.cell(Style::Title, "IMAGE", self.names, Align::Left);
        for (title, width, align) in FIGURES.into_iter().take(self.figures) {
            self.gap();
            self.cell(Style::Title, title, width, align);
        }
        self.text.push('\n');
    }

    fn image(&mut self, image: &Summary) {
        // The shortest one has room beside the figures.
        let mut names = image.repo_tags.clone();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let (last, others) = match names.split_last() {
            Some((last, others)) => (Some(last), others),
            None => (None, &[][..]),
        };
        for name in others {
            let name = self.styled(Style::Name, &shortened(name, self.width));
            self.text.push_str(&name);
            self.text.push('\n');
        }
        match last {
            Some(name) => self.cell(Style::Name, name, self.names, Align::Left),
            None => self.cell(Style::Faint, "<untagged>", self.names, Align::Left),
        }
        let platforms: Vec<&ManifestSummary> = platforms(image).collect();
        self.figures(
            Style::Plain,
            &Figures {
                id: image.id.clone(),
                disk: image.size,
                content: platforms.iter().map(|one| one.size.content).sum(),
                used: image.containers > 0 || platforms.iter().any(|one| is_used(one)),
            },
        );
        for (number, manifest) in platforms.iter().enumerate() {
            let style = match manifest.available {
                true => Style::Plain,
                false => Style::Faint,
            };
            let branch = match number + 1 == platforms.len() {
                true => "└─",
                false => "├─",
            };
            let text = format!("{branch} {}", platform(manifest));
            self.cell(style, &text, self.names, Align::Left);
            let figures = Figures {
                id: manifest.id.clone(),
                disk: manifest.size.total,
                content: manifest.size.content,
                used: is_used(manifest),
            };
            self.figures(style, &figures);
        }
        self.text.push('\n');
    }

    fn figures(&mut self, style: Style, figures: &Figures) {
        let size = |bytes: i64| human_size_with_precision(bytes as f64, 3);
        let texts = [
            short_id(&figures.id).to_owned(),
            size(figures.disk),
            size(figures.content),
        ];
        for ((_, width, align), text) in FIGURES.into_iter().zip(&texts).take(self.figures) {
            self.gap();
            self.cell(style, text, width, align);
        }
        if let Some((_, width, _)) = FIGURES.get(texts.len()).filter(|_| self.figures > 3) {
            self.gap();
            let (chip, length) = match (figures.used, self.colour) {
                (false, _) => (String::new(), 0),
                (true, false) => (self.chip(), IN_USE.len()),
                (true, true) => (self.chip(), IN_USE.len() + 2),
            };
            self.text.push_str(&chip);
            self.text.push_str(&" ".repeat(width - length));
        }
        self.text.push('\n');
    }

    fn chip(&self) -> String {
        match self.colour {
            true => self.styled(Style::Chip, &format!(" {IN_USE} ")),
            false => IN_USE.to_owned(),
        }
    }

    fn gap(&mut self) {
        self.text.push_str(&" ".repeat(GAP));
    }

    fn cell(&mut self, style: Style, text: &str, width: usize, align: Align) {
        let text = shortened(text, width);
        let fill = " ".repeat(width - text.chars().count());
        let text = self.styled(style, &text);
        match align {
            Align::Left => self.text.extend([text, fill]),
            Align::Right => self.text.extend([fill, text]),
        }
    }

    fn styled(&self, style: Style, text: &str) -> String {
        match self.colour {
            true => format!("{}{text}\x1b[0m", style.code()),
            false => text.to_owned(),
        }
    }
}

/// The text, or its beginning with an ellipsis.
fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let start = text.chars().take(width.saturating_sub(1));
    start.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Vec<Summary> {
        let manifest = |digit: &str, architecture: &str, available: bool| {
            serde_json::json!({
                "ID": format!("sha256:{}", digit.repeat(64)), "Kind": "image", "Available": available,
                "Size": {"Content": 2_200_000, "Total": 6_500_000},
                "ImageData": {
                    "Platform": {"os": "linux", "architecture": architecture},
                    "Containers": if available { vec!["x"] } else { vec![] },
                    "Size": {"Unpacked": 4_300_000}
                }
            })
        };
        let attestation = serde_json::json!({"ID": "sha256:e", "Kind": "attestation"});
        serde_json::from_value(serde_json::json!([
            {
                "Id": format!("sha256:{}", "a".repeat(64)), "Created": 1, "Size": 4_501_234,
                "RepoTags": ["busybox:latest", "a:1"], "Containers": -1,
                "Manifests": [manifest("b", "amd64", true), attestation, manifest("c", "arm64", false)]
            },
            {"Id": format!("sha256:{}", "d".repeat(64)), "Created": 2, "Size": 12, "Containers": 0}
        ]))
        .unwrap()
    }

    #[test]
    fn platforms_hang_below_their_image() {
        let expected = "\
WARNING: This is an experimental feature. The output may change and shouldn't be depended on.
                                                              Info ->  U In Use \n
IMAGE                ID             DISK USAGE   CONTENT SIZE   EXTRA
<untagged>           dddddddddddd          12B             0B        \n
busybox:latest
a:1                  aaaaaaaaaaaa        4.5MB          4.4MB   U    
├─ linux/amd64       bbbbbbbbbbbb        6.5MB          2.2MB   U    
└─ linux/arm64       cccccccccccc        6.5MB          2.2MB        \n
";
        assert_eq!(page(&images(), true, None), expected);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let lines = page(&images(), true, Some(40));
        let line = lines.lines().find(|line| line.contains("├─")).unwrap();
        assert_eq!(
            line,
            "\x1b[39m├─ linux/am…\x1b[0m   \x1b[39mbbbbbbbbbbbb\x1b[0m        \x1b[39m6.5MB\x1b[0m"
        );
        assert!(
            lines.contains("\x1b[39m\x1b[2m└─ linux/ar…\x1b[0m"),
            "{lines}"
        );
        let narrow = page(&images(), true, Some(20));
        assert!(!narrow.contains("aaaaaaaaaaaa"), "{narrow}");
    }
}
