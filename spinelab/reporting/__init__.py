"""Tables, intervals, figures and one offline page from the files that runs leave behind; needs no torch."""
