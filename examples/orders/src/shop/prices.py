"""What things cost, in whole units of the currency."""

PRICES = {"tea": 3, "cake": 5}
