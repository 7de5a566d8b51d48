"""A run as a page to read and to send around: figures, curves, held-out views, settings, doubts; and several side by
side.

facts, doubts    what is said of a run, gathered as dataclasses
fingerprint      digits by which two runs are known to be the same
opening          a run with its trainer, scores and pictures
pictures, album  pictures for pages: error maps, masks, data URIs; and which views to show
charts           curves as SVG
markup, wording  HTML whose text is escaped; numbers for people
head, sections, curves, views    the parts of a page
page, comparison, gallery        the three kinds of page, written by `making`
"""

from nerf_mini.outputs.report.album import Album
from nerf_mini.outputs.report.making import (
    MOST_VIEWS,
    compare_runs,
    report_of_run,
    report_of_session,
    write_gallery,
)

__all__ = ["MOST_VIEWS", "Album", "compare_runs", "report_of_run", "report_of_session", "write_gallery"]
