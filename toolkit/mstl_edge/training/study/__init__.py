"""Did the bridge help, did int8 hurt: repeated cross-validation of a recipe's target stage over several arms.

`plan` says what is compared, `folds` who is in which fold, `images` checks that arms agree and trains bridges once, `one_fold`
trains one arm in one fold, `executor` says where folds run, `results` turns saved answers into tables, `run` is the story.
"""
