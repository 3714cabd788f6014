package load

// The shapes and weights that flags name.
const (
	shapeOne      = "one"
	shapeSmall    = "small"
	shapeZipf     = "zipf"
	weightUniform = "uniform"
	weightMembers = "members"
)
