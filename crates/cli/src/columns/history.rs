//! Columns of `history`.

use onggi_api::image::HistoryItem;
use onggi_model::units;

use crate::format::{Column, column};
use crate::text::{ago, ellipsis, rfc3339, short_id};

/// All columns.
pub(crate) const COLUMNS: &[Column<HistoryItem>] = &[
    column("ID", "IMAGE", |h, o| {
        if o.no_trunc {
            h.id.as_str()
        } else {
            short_id(&h.id)
        }
        .into()
    }),
    column("CreatedAt", "CREATED AT", |h, _| rfc3339(h.created).into()),
    column("CreatedSince", "CREATED", |h, o| {
        if o.human && h.created <= 0 {
            "N/A".into()
        } else if o.human {
            ago(h.created).into()
        } else {
            rfc3339(h.created).into()
        }
    }),
    column("CreatedBy", "CREATED BY", |h, o| {
        let text = h.created_by.replace('\t', " ");
        if o.no_trunc {
            text.into()
        } else {
            ellipsis(&text, 45).into()
        }
    }),
    column("Size", "SIZE", |h, o| {
        if o.human {
            units::human_size_with_precision(h.size as f64, 3).into()
        } else {
            h.size.to_string().into()
        }
    }),
    column("Comment", "COMMENT", |h, _| h.comment.clone().into()),
];

/// The table of `history`.
pub(crate) const DEFAULT: &str =
    "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

/// The table of `history --human=false`.
pub(crate) const EXACT: &str = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
