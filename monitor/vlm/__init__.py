"""What a student looks at: classifiers that score the labels of a rubric."""
