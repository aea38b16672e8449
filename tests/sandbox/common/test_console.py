"""What a terminal shows of a step under way."""

from rich.progress import Progress

from sandbox.common.console import Left


def test_a_step_of_known_size_says_what_is_left_and_for_how_long() -> None:
    now = 0.0
    progress = Progress(get_time=lambda: now)
    task = progress.add_task("kubernetes", total=None)
    assert not Left().render(progress.tasks[0]).plain
    progress.update(task, total=100)
    assert Left().render(progress.tasks[0]).plain == "100 of 100 left"
    for _ in range(5):
        now += 1
        progress.advance(task, 10)
    assert Left().render(progress.tasks[0]).plain == "50 of 100 left, about 0:00:05"
    progress.update(task, completed=100)
    assert not Left().render(progress.tasks[0]).plain
