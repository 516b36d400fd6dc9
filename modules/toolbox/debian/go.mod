module slipway/toolbox/debian

go 1.26.4

require (
	github.com/stretchr/testify v1.12.1
	pault.ag/go/debian v0.19.0
	slipway/step v0.0.0
)

require (
	github.com/kjk/lzma v0.0.0-20161016003348-3fd93898850d // indirect
	github.com/klauspost/compress v1.18.0 // indirect
	github.com/xi2/xz v0.0.0-20171230120015-48954b6210f8 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.40.0 // indirect
	pault.ag/go/topsort v0.1.1 // indirect
)

replace slipway/step => ../../step
