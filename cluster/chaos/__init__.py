"""Seeded faults against a running queue, and a judgement of what its clients and tasks saw."""
