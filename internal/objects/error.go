package objects

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"gocloud.dev/gcerrors"

	"github.com/annexfs/annexfs/internal/fault"
)

// fail says which operation on which key went wrong.
func fail(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s object %q: %w", op, key, err)
}

// translate gives a bucket's error its kind. The bucket's own words stay in the message, its types do not.
func translate(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, fault.ErrCorrupt) {
		return err
	}
	kind := kindOf(err)
	switch {
	case kind == nil:
		return errors.New(message(err))
	case errors.Is(kind, fs.ErrNotExist):
		return kind // there is nothing to add
	}
	return fmt.Errorf("%w: %s", kind, message(err))
}

func kindOf(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "NoSuchBucket":
			return nil // not the object's absence
		case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody":
			return fault.ErrCorrupt
		}
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		switch response.HTTPStatusCode() {
		case http.StatusUnauthorized, http.StatusForbidden:
			return fs.ErrPermission
		}
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		return fs.ErrNotExist
	case gcerrors.AlreadyExists:
		return fs.ErrExist
	case gcerrors.InvalidArgument:
		return fs.ErrInvalid
	case gcerrors.PermissionDenied:
		return fs.ErrPermission
	default:
		return nil
	}
}

// message is what the service said, without the frames around it.
func message(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return err.Error()
}
