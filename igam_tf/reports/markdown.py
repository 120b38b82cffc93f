"""Tables in Markdown that read well in a terminal, too."""

from collections.abc import Sequence


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose first column is text; all others are numbers.

    Args:
        rows: cells, the head first; each row has as many.

    Returns:
        List of lines, in which the columns stand one below the other.
    """
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return [_line(cells, widths) for cells in (escaped[0], rule, *escaped[1:])]


def _line(cells, widths):
    first, *rest = cells
    aligned = [first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]
    return f"| {' | '.join(aligned)} |"
