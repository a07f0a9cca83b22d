"""From candidates to the files of an export, sealed and summed up."""
