"""One file per arrow of the data flow: read records, call one room, commit the output."""
