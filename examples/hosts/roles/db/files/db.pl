#!/usr/bin/perl
# Tells whoever connects to port 5000 what the shop sells.
use strict;
use warnings;
use IO::Socket::INET;

my $server = IO::Socket::INET->new(LocalPort => 5000, Listen => 64, ReuseAddr => 1) or die "listen: $!";
open my $pid, '>', '/run/db.pid' or die "write the number of this process: $!";
print $pid "$$\n";
close $pid;
$SIG{PIPE} = 'IGNORE';
while (my $client = $server->accept) {
    open my $items, '<', '/var/lib/db/items' or next;
    print $client $_ while <$items>;
}
