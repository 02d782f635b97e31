// The one translation unit that holds Beast's non-template code (separate compilation).
#include <boost/beast/src.hpp>
