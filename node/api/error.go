package api

import (
	"fmt"
	"net/http"
	"time"
)

// Error is a refusal as the doors answer it. The same value serves both: the client-facing one
// writes Message and Code, the admin one writes Message and Field.
type Error struct {
	Status     int    // HTTP status.
	Code       int    // Discord's JSON error code; 0 where it has none.
	Message    string // One sentence, safe to show to whoever asked.
	Field      string // Path of the field at fault, such as "roles[3].id".
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Moved is 503: the guild has gone to another node, and nothing has been done. The request is tried
// there; see atOwner.
var Moved = Unavailable(time.Second, "The guild is on its way to another node.")

// What Discord's API answers, by its own names.
var (
	Unauthorized       = &Error{Status: 401, Message: "401: Unauthorized"}
	NotFound           = &Error{Status: 404, Message: "404: Not Found"}
	UnknownChannel     = &Error{Status: 404, Code: 10003, Message: "Unknown Channel"}
	UnknownGuild       = &Error{Status: 404, Code: 10004, Message: "Unknown Guild"}
	UnknownMember      = &Error{Status: 404, Code: 10007, Message: "Unknown Member"}
	UnknownUser        = &Error{Status: 404, Code: 10013, Message: "Unknown User"}
	UnknownSession     = &Error{Status: 404, Code: 10020, Message: "Unknown Session"}
	MissingAccess      = &Error{Status: 403, Code: 50001, Message: "Missing Access"}
	MissingPermissions = &Error{Status: 403, Code: 50013, Message: "Missing Permissions"}
)

// Invalid is 400 with the field at fault; field may be empty.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: codeInvalidForm, Field: field,
		Message: fmt.Sprintf(format, args...)}
}

// Conflict is 409: what was asked for contradicts what is there.
func Conflict(field, format string, args ...any) *Error {
	return &Error{Status: http.StatusConflict, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Busy is 429: the caller is faster than the node, and may come again after the given time.
func Busy(after time.Duration, format string, args ...any) *Error {
	return &Error{Status: http.StatusTooManyRequests, RetryAfter: after,
		Message: fmt.Sprintf(format, args...)}
}

// Unavailable is 503: the node cannot do it now, such as while it drains.
func Unavailable(after time.Duration, format string, args ...any) *Error {
	return &Error{Status: http.StatusServiceUnavailable, RetryAfter: after,
		Message: fmt.Sprintf(format, args...)}
}

// tooLarge is 413, for a body past its limit.
func tooLarge(what string, bytesMax int64) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge,
		Message: fmt.Sprintf("%s is larger than %d bytes", what, bytesMax)}
}
