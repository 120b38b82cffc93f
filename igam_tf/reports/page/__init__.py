"""`report.html`: a run as one page to look at, which needs nothing but itself."""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__, {"format_page": "page", "write_page": "page"}
)
