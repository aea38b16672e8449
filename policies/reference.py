"""The table of rules in docs/policies.md: ``python -m policies.reference`` prints it, a test holds it true."""

from policies.rules import RULES


def table() -> str:
    """All rules as a Markdown table."""
    rows = ["| rule | severity | where | why | remedy |", "|---|---|---|---|---|"]
    rows += [
        f"| [`{rule.id}`]({rule.link}) | {rule.severity} | {'production' if rule.production_only else 'everywhere'}"
        f" | {rule.reason} | {rule.remedy} |"
        for rule in RULES
    ]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(table(), end="")
