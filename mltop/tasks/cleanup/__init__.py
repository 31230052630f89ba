"""Old files in named folders: a plan, its dry run and its real run are one code."""
