"""Tables in Markdown, of text alone: needs the standard library only."""


def table_lines(header, rows):
    """Lines of a markdown table; all columns but the first are numbers."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells):
        pairs = list(zip(cells, widths, strict=True))
        padded = [pairs[0][0].ljust(pairs[0][1])] + [c.rjust(w) for c, w in pairs[1:]]
        return "| " + " | ".join(padded) + " |"

    rule = line(["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])])
    return [line(header), rule, *map(line, rows)]


def print_table(header, rows):
    """Prints a table, and an empty line."""
    print("\n".join(table_lines(header, rows)), end="\n\n", flush=True)
