"""How probable it is that a batch holds every class, with and without a bank (AUCSeg, Proposition 1)."""

from aucseg.data.odds.model import BankModel, BatchOdds, Chance
from aucseg.data.odds.report import batch_odds, stored_after

__all__ = ["BankModel", "BatchOdds", "Chance", "batch_odds", "stored_after"]
