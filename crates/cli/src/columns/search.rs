//! Columns of `search`.

use onggi_api::registry::SearchResult;

use crate::format::{Column, Kind, column};
use crate::text::ellipsis;

/// All columns.
pub(crate) const COLUMNS: &[Column<SearchResult>] = &[
    column("Name", "NAME", |hit, _| hit.name.clone().into()),
    column("Description", "DESCRIPTION", |hit, options| {
        let text = hit.description.replace(['\n', '\r'], " ");
        if options.no_trunc {
            text.into()
        } else {
            ellipsis(&text, 45).into()
        }
    }),
    column("StarCount", "STARS", |hit, _| {
        hit.star_count.to_string().into()
    }),
    // For people a mark, for programs the truth.
    Column {
        name: "IsOfficial",
        header: "OFFICIAL",
        kind: Kind::Shown(
            |hit, _| hit.is_official.to_string().into(),
            |hit| match hit.is_official {
                true => "[OK]".to_owned(),
                false => String::new(),
            },
        ),
    },
];

/// The table of `search`.
pub(crate) const DEFAULT: &str = "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";
