//go:build generate

// The build tag keeps it out of the package, and its imports in go.mod.
//
// gen compiles the .proto files of this folder and runs the protoc-gen-go of
// the module's own protobuf version over them, so that generating needs
// nothing but Go. With -check it writes nothing and exits 1 if a file differs.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"sort"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	log.SetFlags(0)
	check := flag.Bool("check", false, "compare only")
	flag.Parse()
	sources, err := filepath.Glob("*.proto")
	if err != nil {
		log.Fatal(err)
	}
	sort.Strings(sources)
	response, err := generate(sources)
	if err != nil {
		log.Fatal(err)
	}
	stale := false
	for _, file := range response.GetFile() {
		have, _ := os.ReadFile(file.GetName())
		if bytes.Equal(have, []byte(file.GetContent())) {
			continue
		}
		if *check {
			stale = true
			fmt.Printf("%s is not what its .proto says: go generate ./streams/streampb\n", file.GetName())
			continue
		}
		if err := os.WriteFile(file.GetName(), []byte(file.GetContent()), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	if stale {
		os.Exit(1)
	}
}

func generate(sources []string) (*pluginpb.CodeGeneratorResponse, error) {
	compiler := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), sources...)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: sources,
		Parameter:      proto.String("paths=source_relative"),
	}
	// Every file must come after what it imports.
	known := map[string]bool{}
	var add func(*descriptorpb.FileDescriptorProto)
	byName := map[string]*descriptorpb.FileDescriptorProto{}
	for _, file := range files {
		byName[file.Path()] = protoutil.ProtoFromFileDescriptor(file)
	}
	add = func(file *descriptorpb.FileDescriptorProto) {
		if file == nil || known[file.GetName()] {
			return
		}
		known[file.GetName()] = true
		for _, dependency := range file.GetDependency() {
			add(byName[dependency])
		}
		request.ProtoFile = append(request.ProtoFile, file)
	}
	for _, source := range sources {
		add(byName[source])
	}
	input, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	plugin := exec.Command("go", "run", "google.golang.org/protobuf/cmd/protoc-gen-go")
	plugin.Stdin = bytes.NewReader(input)
	plugin.Stderr = os.Stderr
	output, err := plugin.Output()
	if err != nil {
		return nil, fmt.Errorf("protoc-gen-go: %w", err)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(output, response); err != nil {
		return nil, err
	}
	if response.Error != nil {
		return nil, fmt.Errorf("protoc-gen-go: %s", response.GetError())
	}
	return response, nil
}
