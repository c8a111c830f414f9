package dockerconfig

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"github.com/lifepod/lifepod/image/credentials"
	"github.com/lifepod/lifepod/image/credentials/internal/program"
)

// What a helper says when it knows nothing, word for word.
const (
	notFound   = "credentials not found in native keychain"
	noURL      = "no credentials server URL"
	noUsername = "no credentials username"
)

// ask runs docker-credential-NAME get. It returns nil if the helper knows no
// credentials for the server. Its errors hold nothing that the helper answered.
func ask(ctx context.Context, name, server string) (*credentials.Auth, error) {
	path, err := exec.LookPath("docker-credential-" + name)
	if err != nil {
		return nil, fmt.Errorf("credential helper for %s: %w; install it, or take it out of the Docker configuration", server, err)
	}
	out, err := program.Run(ctx, path, []string{"get"}, nil, []byte(server+"\n"))
	if err != nil {
		switch strings.TrimSpace(string(out)) {
		case notFound, noURL, noUsername:
			return nil, nil
		}
		return nil, fmt.Errorf("credential helper for %s: %w", server, err)
	}
	a, err := parseHelper(out)
	if err != nil {
		return nil, fmt.Errorf("credential helper for %s: docker-credential-%s: %w", server, name, err)
	}
	return a, nil
}

// parseHelper reads what a helper answers. A user named <token> means that the
// secret is an identity token.
func parseHelper(out []byte) (*credentials.Auth, error) {
	var answer struct{ ServerURL, Username, Secret string }
	if json.Unmarshal(out, &answer) != nil {
		return nil, fmt.Errorf("its answer is not JSON")
	}
	switch {
	case answer.Secret == "":
		return nil, nil
	case answer.Username == "<token>":
		return &credentials.Auth{IdentityToken: answer.Secret}, nil
	}
	return &credentials.Auth{Username: answer.Username, Password: answer.Secret}, nil
}
