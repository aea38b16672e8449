"""Alarms of CloudWatch on what the agents stand on, and whom they tell."""
