module slipway/box

go 1.26.0

require slipway/step v0.0.0

replace slipway/step => ../../toolbox/step
