module caller

go 1.26.0
