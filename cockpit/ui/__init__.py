"""The screen: a reader of the journal that drops commands into its inbox."""
