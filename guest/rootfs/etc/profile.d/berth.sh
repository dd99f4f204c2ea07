# The environment of the template and the box, which the agent writes at each renewal.
[ ! -r /run/berth/environment.sh ] || . /run/berth/environment.sh
