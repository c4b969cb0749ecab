package client

import (
	"context"

	"steer/api"
	"steer/base/secret"
)

// Encrypt encrypts a secret for the server, here: only the server's public key
// crosses the network. The result is the content of secrets/ENVIRONMENT/NAME.age.
func (c *Client) Encrypt(ctx context.Context, plain []byte) ([]byte, error) {
	key, err := Get[api.Recipient](ctx, c, "/api/v1/secrets/recipient", nil)
	if err != nil {
		return nil, err
	}
	return secret.EncryptFor(key.Recipient, plain)
}
