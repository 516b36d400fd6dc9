// Package modules tests the Dagger modules of the pipeline's stages, each by
// itself, on a real engine. Build tag: engine.
package modules
