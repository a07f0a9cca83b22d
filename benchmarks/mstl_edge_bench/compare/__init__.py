"""One model, or one report, against another."""
