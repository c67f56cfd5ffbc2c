"""Tables from what a benchmark prints into the page and the history, and two records compared."""

from analysis.tables.markdown import fill_block
from benchmarks.compare_history import changes
from benchmarks.report import markdown, tables_of

ROWS = [{"preset": "tiny", "seconds": "0.2", "against plain": "2.40x"}]
TABLE = "| preset | seconds | against plain |\n| --- | --- | --- |\n| tiny | 0.2 | 2.40x |"


def test_a_table_is_written_and_read_back() -> None:
    assert markdown(ROWS) == TABLE
    tables = tables_of(f"cores 2\n\n{TABLE}\n\nwords\n| a |\n|---|\n| 1 |\n")
    assert tables == [(TABLE.splitlines(), ROWS), (["| a |", "|---|", "| 1 |"], [{"a": "1"}])]


def test_a_page_gets_the_new_table_in_place_of_the_old() -> None:
    page = "# Page\n\n<!-- step -->\nold\n<!-- end step -->\n\nend\n"
    again = fill_block(page, "step", f"today\n\n{TABLE}")
    assert again == f"# Page\n\n<!-- step -->\ntoday\n\n{TABLE}\n<!-- end step -->\n\nend\n"
    more = fill_block(again, "sweep", "today\n\n| b |")
    assert more == again.rstrip() + "\n\n## sweep\n\n<!-- sweep -->\ntoday\n\n| b |\n<!-- end sweep -->\n"


def test_records_are_compared_row_by_row() -> None:
    other = {"preset": "tiny", "seconds": "0.1", "against plain": "2.50x"}
    changed = changes({"tables": {"step": [ROWS]}}, {"tables": {"step": [[other]]}}, 0.1)
    assert changed == [
        {"row": "step, tiny", "column": "seconds", "before": "0.2", "after": "0.1", "ratio": "0.50x"},
    ]
