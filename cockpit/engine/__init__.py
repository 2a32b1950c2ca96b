"""The night: one detached process that proposes, trains, judges and records."""
