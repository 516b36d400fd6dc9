module slipway/step

go 1.26.0
