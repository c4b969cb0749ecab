#!/usr/bin/perl
# Answers HTTP with what the database tells, or with 503.
use strict;
use warnings;
use IO::Socket::INET;

open my $conf, '<', '/etc/shop.conf' or die "read the configuration: $!";
my ($database, $port) = split ' ', <$conf>;
my $server = IO::Socket::INET->new(LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "listen: $!";
open my $pid, '>', '/run/shop.pid' or die "write the number of this process: $!";
print $pid "$$\n";
close $pid;
$SIG{PIPE} = 'IGNORE';
while (my $client = $server->accept) {
    while (my $line = <$client>) { last if $line =~ /^\r?$/ }
    my ($status, $body) = ('503 Service Unavailable', "The database does not answer.\n");
    if (my $db = IO::Socket::INET->new(PeerHost => $database, PeerPort => 5000, Timeout => 2)) {
        ($status, $body) = ('200 OK', join '', <$db>);
    }
    print $client "HTTP/1.0 $status\r\nContent-Type: text/plain\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    close $client;
}
