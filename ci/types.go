package main

import (
	"slipway/ci/config"
	"slipway/ci/drill"
	"slipway/ci/receipt"
	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/argocd"
	"slipway/step/result/infra"
	"slipway/step/result/sign"
)

// Dagger's code generator writes a private field's type by its bare name. So those of
// plain packages have that name here, too.
type (
	AppRescan   = rules.AppRescan
	Config      = config.Config
	Delivery    = rules.Delivery
	Delta       = render.Delta
	Document    = receipt.Document
	DriftReport = infra.DriftReport
	Judgement   = rules.Judgement
	Reference   = step.Reference
	Result      = drill.Result
	Revocation  = rules.Revocation
	Stage       = receipt.Stage
	Statement   = sign.Statement
	Status      = render.Status
	Verdict     = rules.Verdict
	Waited      = argocd.Waited
)
