"""One fault in what somebody wants to submit, and several of them as a problem."""

from collections.abc import Sequence
from http import HTTPStatus

from msgspec import Struct

from serve_app.problems import ApiProblem

#: So many faults of one request are told at once.
MOST_COMPLAINTS = 5


class Complaint(Struct, frozen=True):
    """What is wrong with one field, and the cure."""

    field: str
    text: str
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY

    def under(self, prefix: str) -> "Complaint":
        """The same, with the field's place in something larger."""
        return Complaint(f"{prefix}.{self.field}", self.text, self.status)

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


def problem_of(complaints: Sequence[Complaint]) -> ApiProblem:
    """The first few of the faults (there is one at least) as one problem."""
    told = [str(complaint) for complaint in complaints[:MOST_COMPLAINTS]]
    errors = told if len(told) > 1 else []
    return ApiProblem(complaints[0].status, "; ".join(told), errors=errors)
