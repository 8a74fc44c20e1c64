"""The page that shows the machine shows the machine."""

from scripts.draw_state_machine import PAGE, state_machine_page
from task_queue.core.transitions import TRANSITIONS


def test_the_page_is_up_to_date() -> None:
    cure = "run: python -m scripts.draw_state_machine"
    assert PAGE.read_text("utf-8") == state_machine_page(), cure


def test_every_move_is_drawn() -> None:
    page = state_machine_page()
    for (before, happening), after in TRANSITIONS.items():
        assert f"    {before} --> {after} : {happening.value}\n" in page
    assert page.count("-->") == len(TRANSITIONS) + 2 + 4 + 1  # submits, ends, and the comment's end
