"""A number of seconds on the command line: finite, because JSON would carry NaN and infinity as
null, which means that the option was not given."""

import math
from typing import Any

import click


class Seconds(click.FloatRange):
    """`click.FloatRange` without nan and inf, which click itself takes."""

    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(
                f"{value} is not a finite number of seconds: give one such as 30.", param, ctx
            )
        return number
