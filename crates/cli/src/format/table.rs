//! Columns of text, as Go's tabwriter lays them out.

/// The least width of a column, and the spaces behind its longest cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) least: usize,
    pub(crate) padding: usize,
}

/// How lists are laid out.
pub(crate) const LIST: Layout = Layout {
    least: 10,
    padding: 3,
};

/// Aligns cells that end with a tab. What follows the last tab of a line is not part of a column; a column is as wide as
/// its widest cell among neighbouring lines that have it.
pub(crate) fn align(text: &str, layout: Layout) -> String {
    let lines: Vec<Vec<&str>> = text
        .split('\n')
        .map(|line| line.split('\t').collect())
        .collect();
    let mut widths: Vec<Vec<usize>> = lines
        .iter()
        .map(|cells| vec![0; cells.len().saturating_sub(1)])
        .collect();
    let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut line = 0;
        while line < lines.len() {
            let begin = line;
            let mut widest = 0;
            while line < lines.len() && column < widths[line].len() {
                widest = widest.max(width(lines[line][column]));
                line += 1;
            }
            let all = (widest + layout.padding).max(layout.least);
            for row in &mut widths[begin..line] {
                row[column] = all;
            }
            line = line.max(begin + 1);
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    for (index, (cells, widths)) in lines.iter().zip(&widths).enumerate() {
        if index > 0 {
            out.push('\n');
        }
        for (cell, all) in cells.iter().zip(widths) {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', all - width(cell)));
        }
        if let Some(last) = cells.last() {
            out.push_str(last);
        }
    }
    out
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        assert_eq!(
            align("ID\tNAMES\tPORTS\nabc\tlonger name\t80\n", LIST),
            "ID        NAMES         PORTS\nabc       longer name   80\n"
        );
        assert_eq!(align("x\n", LIST), "x\n");
        assert_eq!(
            align(
                "a\tb\nlong line without a cell\nc\td",
                Layout {
                    least: 0,
                    padding: 1
                }
            ),
            "a b\nlong line without a cell\nc d"
        );
    }
}
