"""What the preview says of connections that all agents share."""

from pathlib import Path

from preview.change.diff import compare
from preview.change.impact import impact
from preview.exposure import exposure
from preview.recording.plan import Plan
from preview.recording.program import make_plan
from preview.report.picture import draw
from tests.preview.projects import project, project_plan


def proxied(folder: Path) -> Plan:
    made = project(folder, "dev", lambda settings: settings["database"].update(pooler="rds-proxy"))
    return make_plan("dev", made)


def test_that_nobody_has_a_part_of_what_rds_proxy_may_open_is_told_with_the_numbers(tmp_path: Path) -> None:
    before, after = project_plan("dev"), proxied(tmp_path)
    told = impact(compare(before, after), exposure(before), exposure(after)).notes
    assert (
        "rds-proxy-connections has 97 % of the database's connections (387 of 399), one budget for all agents: none"
        " has a part of its own, and a burst of one may keep others waiting"
    ) in told
    assert impact(compare(after, after), exposure(after), exposure(after)).notes == ()


def test_the_picture_has_it_before_the_database(tmp_path: Path) -> None:
    after = proxied(tmp_path)
    cards = draw(after, exposure(after)).cards
    (proxy,) = [card for card in cards if card.title == "RDS Proxy"]
    (database,) = [card for card in cards if card.title.startswith("PostgreSQL")]
    assert proxy.lines == ("1 login, 97 % of the connections",)
    assert proxy.y < database.y
