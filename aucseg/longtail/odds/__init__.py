"""How probable it is that a batch holds every class, with and without a bank (AUCSeg, Proposition 1)."""

from aucseg.longtail.odds.model import BankModel, BatchOdds, Chance
from aucseg.longtail.odds.report import batch_odds, stored_after

__all__ = ["BankModel", "BatchOdds", "Chance", "batch_odds", "stored_after"]
