"""What a challenger must show, and how much of the error rate each look at a champion may use."""

from __future__ import annotations

from dataclasses import dataclass

from stagecast.features.errors import UsageError


@dataclass(frozen=True)
class Rules:
    """What a challenger must show.

    Parameters
    ----------
    margin
        Least improvement of the log loss of churn, as a share of the champion's.
    error_rate
        Probability that a challenger which is no better is ever promoted over one champion, however
        often it is tried.
    min_dates
        Least number of dates that neither model has seen.
    max_dates
        Dates to compare at most.
    min_customers
        Least number of customers who could leave, at every date.
    segment_share, segment_customers
        A segment counts as large from this share of the rows on, and this number of them.
    tolerance
        How much worse, as a share of the champion's loss, a large segment, the next stage, the
        spend or the value may be; nor may it be worse beyond chance.
    chance
        One-sided level at which a loss counts as worse beyond chance.
    calibration
        Largest gap between predicted and observed shares over tenths of the customers, beyond what
        chance gives; a challenger that is no worse calibrated than its champion passes, too.
    milliseconds
        Longest processor time of the predictions, per customer.
    wait_share
        A champion is challenged again when so much of a horizon has passed; less says little new.

    Raises
    ------
    UsageError
        A rule is outside its range.
    """

    margin: float = 0.005
    error_rate: float = 0.05
    min_dates: int = 3
    max_dates: int = 8
    min_customers: int = 100
    segment_share: float = 0.10
    segment_customers: int = 100
    tolerance: float = 0.02
    chance: float = 0.05
    calibration: float = 0.03
    milliseconds: float = 5.0
    wait_share: float = 1 / 12

    def __post_init__(self) -> None:
        checks = (
            ("margin", 0 <= self.margin < 1, "at least 0 and below 1"),
            ("error_rate", 0 < self.error_rate < 0.5, "above 0 and below 0.5"),
            ("min_dates", self.min_dates >= 2, "at least 2: one date is one draw"),
            ("max_dates", self.max_dates >= self.min_dates, "at least min_dates"),
            ("segment_share", 0 < self.segment_share <= 1, "above 0 and at most 1"),
            ("tolerance", self.tolerance >= 0, "at least 0"),
            ("chance", 0 < self.chance < 0.5, "above 0 and below 0.5"),
            ("wait_share", self.wait_share >= 0, "at least 0"),
        )
        for name, is_valid, allowed in checks:
            if not is_valid:
                raise UsageError(f"{name} = {getattr(self, name)} must be {allowed}")

    def level(self, look: int) -> float:
        """Return the error rate of one look at a champion, of which 1 is the first.

        The rates of all looks sum to :attr:`error_rate`, so that looking every week does not
        promote by luck in the end (Bonferroni over looks: error_rate / (k (k + 1))).

        >>> rules = Rules()
        >>> rules.level(1), round(sum(rules.level(k) for k in range(1, 10_000)), 4)
        (0.025, 0.05)
        """
        return self.error_rate / (look * (look + 1))
